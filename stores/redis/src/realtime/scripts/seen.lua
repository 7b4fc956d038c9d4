-- What a snapshot sees of cells. ARGV begins with: id of the lease, its version, how long it goes on (ms).
local id, version, lease = take(), take(), tonumber(take())
if not redis.call('ZSCORE', P .. 'leases', id) then
  return {'old'}
end
-- As in `snapshot`.
redis.call('ZREM', P .. 'leases', '')
redis.call('ZADD', P .. 'leases', 'XX', millis() + lease, id)
local layers = redis.call('ZRANGEBYSCORE', P .. 'layers', version, '+inf')

-- Whether the cells that a row names are all there.
local function whole(name)
  local cells, listed = redis.call('HLEN', P .. 'cells/' .. name), redis.call('ZCARD', P .. 'keys/' .. name)
  return cells == listed and cells > 0, cells, listed
end

-- Values of keys, as they were. Of several layers the oldest counts.
local function seen(name, keys, first, last)
  local found = hmget(P .. 'cells/' .. name, keys, first, last)
  if #layers > 0 then
    local fields = {}
    for i = first, last do fields[#fields + 1] = name .. ' ' .. keys[i] end
    for l = #layers, 1, -1 do
      local before = hmget(P .. 'undo/' .. layers[l], fields, 1, #fields)
      for i = 1, #before do
        local b = before[i]
        if b then
          if string.byte(b) == 112 then found[i] = string.sub(b, 2) else found[i] = false end
        end
      end
    end
  end
  return found
end
