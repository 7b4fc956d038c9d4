-- Takes a snapshot: leases the present version, and answers with the rows of all stores.
-- ARGV: id of the lease, how long (ms), stores.
local id, lease = take(), tonumber(take())
local data = redis.call('HGET', P .. 'meta', 'data')
if not data then
  return {'lost'}
end
local version = redis.call('GET', P .. 'version') or '0'
local rows = {}
while at < #ARGV do
  local store = take()
  local found = redis.call('HGETALL', P .. 'rows/' .. store)
  local count = tonumber(redis.call('HGET', P .. 'meta', 'count/' .. store) or '0')
  if #found ~= 2 * count then
    return {'damaged', store, #found / 2, count}
  end
  rows[#rows + 1] = found
end
expire_leases()
-- A write that is not refused when memory is used up: then those behind it are not, and readers are served.
redis.call('ZREM', P .. 'leases', id)
redis.call('ZADD', P .. 'leases', millis() + lease, id)
redis.call('ZADD', P .. 'leased', version, id)
return {'done', data, version, rows}
