-- Deletes a namespace. What its rows name goes with them, so nothing of it is met by one that is made anew.
local meta = redis.call('HGETALL', P .. 'meta')
for m = 1, #meta, 2 do
  local store = string.match(meta[m], '^schema/(.*)$')
  if store then
    local rows = redis.call('HGETALL', P .. 'rows/' .. store)
    for r = 1, #rows, 2 do
      local lane, batches = string.match(rows[r + 1], '"lane":(%d+),"batches":%[([-%d,]*)%]')
      for batch in string.gmatch(batches or '', '[^,]+') do
        local name = store .. '/' .. rows[r] .. '/' .. lane .. '/' .. batch
        redis.call('UNLINK', P .. 'cells/' .. name, P .. 'keys/' .. name)
      end
    end
    redis.call('UNLINK', P .. 'rows/' .. store)
  end
end
local layers = redis.call('ZRANGE', P .. 'layers', 0, -1)
for i = 1, #layers do redis.call('UNLINK', P .. 'undo/' .. layers[i]) end
local doomed = redis.call('ZRANGE', P .. 'doomed', 0, -1)
for i = 1, #doomed do redis.call('UNLINK', P .. 'cells/' .. doomed[i], P .. 'keys/' .. doomed[i]) end
redis.call('UNLINK', P .. 'version', P .. 'leases', P .. 'leased', P .. 'layers', P .. 'doomed')
return {redis.call('UNLINK', P .. 'meta')}
