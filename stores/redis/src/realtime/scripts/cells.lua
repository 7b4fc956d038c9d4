-- Cells of some keys. ARGV, behind the lease: how many bytes are enough, how many hashes, their names, the keys. Answers for as many
-- hashes as have so many bytes, one at least.
local enough, bytes = tonumber(take()), 0
local names = {}
for i = 1, tonumber(take()) do names[i] = take() end
local answer = {'done'}
for i = 1, #names do
  local ok, cells, listed = whole(names[i])
  if not ok then
    return {'damaged', names[i], cells, listed}
  end
  local values = seen(names[i], ARGV, at + 1, #ARGV)
  answer[#answer + 1] = values
  for k = 1, #ARGV - at do
    if values[k] then bytes = bytes + #values[k] end
  end
  if bytes >= enough then break end
end
return answer
