-- Cells of some keys. ARGV, behind the lease: how many hashes, their names, the keys.
local names = {}
for i = 1, tonumber(take()) do names[i] = take() end
local answer = {'done'}
for i = 1, #names do
  local ok, cells, listed = whole(names[i])
  if not ok then
    return {'damaged', names[i], cells, listed}
  end
  answer[#answer + 1] = seen(names[i], ARGV, at + 1, #ARGV)
end
return answer
