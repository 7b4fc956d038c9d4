-- Pages of cells in order of their keys. ARGV, behind the lease: how many bytes are enough, then for each page the name of the hash,
-- the bounds, how many keys. A page is: 1 if there may be more, the last key that was looked at (empty: none, ask again), keys and values
-- in turns.
local enough, answer, bytes = tonumber(take()), {'done'}, 0
while at < #ARGV do
  local name, low, high, most = take(), take(), take(), tonumber(take())
  local ok, cells, listed = whole(name)
  if not ok then
    return {'damaged', name, cells, listed}
  end
  local keys = redis.call('ZRANGEBYLEX', P .. 'keys/' .. name, low, high, 'LIMIT', 0, most)
  local page = {#keys == most and 1 or 0, ''}
  local from = 1
  while from <= #keys do
    if bytes >= enough and (from > 1 or #answer > 1) then
      page[1] = 1
      break
    end
    -- Few at a time: values may be large.
    local last = math.min(from + 15, #keys)
    local values = seen(name, keys, from, last)
    for i = from, last do
      local value = values[i - from + 1]
      if value then
        page[#page + 1] = keys[i]
        page[#page + 1] = value
        bytes = bytes + #value + #keys[i]
      end
    end
    page[2] = keys[last]
    from = last + 1
  end
  answer[#answer + 1] = page
end
return answer
