-- Sets values of keys that hold what was read of them. KEYS[1] is the prefix. ARGV: key, whether it held something, what, and the value
-- to be set, in turns. Answers for each key with 1 if it was set.
local values = KEYS[1] .. 'values'
local done = {}
for i = 1, #ARGV, 4 do
  local found = redis.call('HGET', values, ARGV[i])
  if (ARGV[i + 1] == '1' and found == ARGV[i + 2]) or (ARGV[i + 1] == '0' and not found) then
    redis.call('HSET', values, ARGV[i], ARGV[i + 3])
    done[#done + 1] = 1
  else
    done[#done + 1] = 0
  end
end
return done
