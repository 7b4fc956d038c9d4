-- Makes a namespace that is not there. ARGV: the id of its data, its name, its format, stores and their schemas in turns.
local meta = P .. 'meta'
local data, name, format = take(), take(), take()
local known = redis.call('HGETALL', meta)
if #known > 0 then
  return {'known', known}
end
local fields = {'format', format, 'namespace', name, 'data', data}
while at < #ARGV do
  local store, schema = take(), take()
  if redis.call('EXISTS', P .. 'rows/' .. store) == 1 then
    return {'headless', store}
  end
  fields[#fields + 1] = 'schema/' .. store
  fields[#fields + 1] = schema
end
redis.call('HSET', meta, unpack(fields))
return {'made'}
