-- A mark, and the rows that come with it, in one step (O23). KEYS[1] is the prefix. ARGV: sink, partition, the mark's bytes before
-- (empty: none) and after, how many rows there were, number and text of the schema, how many rows come, the list they are staged in
-- (empty: none), else the rows: id and value in turns.
local P = KEYS[1]
local GROUP = 4000
local sink, partition, before, after = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local had, number, schema, count, staged = tonumber(ARGV[5]), ARGV[6], ARGV[7], tonumber(ARGV[8]), ARGV[9]
local marks, schemas = P .. 'marks/' .. sink, P .. 'schemas/' .. sink
local rows, ids = P .. 'rows/' .. sink .. '/' .. partition, P .. 'ids/' .. sink .. '/' .. partition

if (redis.call('HGET', marks, partition) or '') ~= before then
  return {'moved'}
end
if (redis.call('HGET', schemas, number) or schema) ~= schema then
  return {'moved'}
end
local found, listed = redis.call('HLEN', rows), redis.call('ZCARD', ids)
if found ~= had or listed ~= had then
  return {'damaged', found, listed}
end
if staged ~= '' then
  staged = P .. 'staged/' .. staged
  if redis.call('LLEN', staged) ~= 2 * count then
    return {'unstaged'}
  end
end
if redis.acl_check_cmd then
  local needed = {
    {'HSET', marks, 'f', 'v'}, {'HSET', rows, 'f', 'v'}, {'HSET', schemas, 'f', 'v'}, {'ZADD', ids, 0, 'm'},
    {'LRANGE', P .. 'staged/', 0, 1}, {'UNLINK', P .. 'staged/'},
  }
  for i = 1, #needed do
    if not redis.acl_check_cmd(unpack(needed[i])) then
      return redis.error_reply('NOPERM this user may not run ' .. needed[i][1] .. ' on ' .. needed[i][2])
    end
  end
end

local function write(list, first, last)
  for from = first, last, GROUP do
    local to = math.min(from + GROUP - 1, last)
    redis.call('HSET', rows, unpack(list, from, to))
    local members = {}
    for i = from, to, 2 do
      members[#members + 1] = 0
      members[#members + 1] = list[i]
    end
    redis.call('ZADD', ids, unpack(members))
  end
end

-- The first write: it is refused when memory is used up, and those behind it would not be.
redis.call('HSET', marks, partition, after)
redis.call('HSET', schemas, number, schema)
if staged == '' then
  write(ARGV, 10, 9 + 2 * count)
else
  for from = 0, 2 * count - 1, GROUP do
    local part = redis.call('LRANGE', staged, from, from + GROUP - 1)
    write(part, 1, #part)
  end
  redis.call('UNLINK', staged)
end
return {'done'}
