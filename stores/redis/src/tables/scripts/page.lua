-- Rows of a partition from an id on, and its mark. KEYS[1] is the prefix. ARGV: sink, partition, the lower bound, how many rows and
-- bytes are enough.
local P = KEYS[1]
local of = ARGV[1] .. '/' .. ARGV[2]
local most, enough = tonumber(ARGV[4]), tonumber(ARGV[5])
local mark = redis.call('HGET', P .. 'marks/' .. ARGV[1], ARGV[2])
local found, listed = redis.call('HLEN', P .. 'rows/' .. of), redis.call('ZCARD', P .. 'ids/' .. of)
local ids = redis.call('ZRANGEBYLEX', P .. 'ids/' .. of, ARGV[3], '+', 'LIMIT', 0, most)
local page = {mark or '', found, listed, #ids == most and 1 or 0}
local bytes, from = 0, 1
while from <= #ids do
  if bytes >= enough then
    page[4] = 1
    break
  end
  local last = math.min(from + 15, #ids)
  local values = redis.call('HMGET', P .. 'rows/' .. of, unpack(ids, from, last))
  for i = from, last do
    local value = values[i - from + 1]
    page[#page + 1] = ids[i]
    page[#page + 1] = value
    bytes = bytes + #ids[i] + (value and #value or 0)
  end
  from = last + 1
end
return page
