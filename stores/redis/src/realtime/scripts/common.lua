-- What the scripts of a namespace share. KEYS[1] is its prefix.
local P = KEYS[1]
-- Lua's stack takes 8,000 values; an even number, for pairs.
local GROUP = 4000

local at = 0
local function take()
  at = at + 1
  return ARGV[at]
end

local function millis()
  local t = redis.call('TIME')
  return t[1] * 1000 + math.floor(t[2] / 1000)
end

-- Forgets snapshots that nobody read for their time.
local function expire_leases()
  local gone = redis.call('ZRANGEBYSCORE', P .. 'leases', '-inf', millis())
  for i = 1, #gone do
    redis.call('ZREM', P .. 'leases', gone[i])
    redis.call('ZREM', P .. 'leased', gone[i])
  end
end

-- HMGET of any number of fields, from ARGV[first] to ARGV[last] or from a list.
local function hmget(key, fields, first, last)
  local found = {}
  for from = first, last, GROUP do
    local part = redis.call('HMGET', key, unpack(fields, from, math.min(from + GROUP - 1, last)))
    for i = 1, #part do found[#found + 1] = part[i] end
  end
  return found
end
