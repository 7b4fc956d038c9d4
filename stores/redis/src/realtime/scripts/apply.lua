-- Rows, cells, and what rows name no more, in one step (P11, P26). What cannot be done is said before anything is written.
if redis.call('HGET', P .. 'meta', 'data') ~= take() then
  return {'lost'}
end

-- Rows: key, field, bytes before (empty: none), bytes after.
local rows = {}
for r = 1, tonumber(take()) do
  local row = {P .. 'rows/' .. take(), take(), take(), take()}
  local found = redis.call('HGET', row[1], row[2])
  if (found or '') ~= row[3] then
    return {'row', r}
  end
  rows[r] = row
end

-- Cells that no row names any more.
local dooms = {}
for d = 1, tonumber(take()) do dooms[d] = take() end

-- Cells: name, whether the row named it, how many, how many of those are new; new ones come first. Staged: the list they are in.
local hashes = {}
for h = 1, tonumber(take()) do
  local hash = {name = take(), known = take() == '1', count = tonumber(take()), new = tonumber(take()), staged = take()}
  local key, keys = P .. 'cells/' .. hash.name, P .. 'keys/' .. hash.name
  local cells, listed = redis.call('HLEN', key), redis.call('ZCARD', keys)
  if cells ~= listed or hash.known ~= (cells > 0) then
    return {'damaged', hash.name, cells, listed}
  end
  if hash.staged ~= '' then
    hash.staged = P .. 'staged/' .. hash.staged
    if redis.call('LLEN', hash.staged) ~= 2 * hash.count then
      return {'unstaged'}
    end
  else
    hash.first = at + 1
    at = at + 2 * hash.count
  end
  hash.key, hash.keys = key, keys
  hashes[h] = hash
end

-- Other keys of the wrong type would stop the script half-way.
redis.call('ZCARD', P .. 'leases')
redis.call('ZCARD', P .. 'leased')
redis.call('ZCARD', P .. 'layers')
redis.call('ZCARD', P .. 'doomed')
-- The layer that takes what is overwritten: of the newest snapshot, or a later one that older snapshots still look through.
local function top_layer()
  local leased = redis.call('ZREVRANGE', P .. 'leased', 0, 0, 'WITHSCORES')[2]
  local top = redis.call('ZREVRANGE', P .. 'layers', 0, 0, 'WITHSCORES')[2]
  return leased and top and math.max(leased, top) or leased
end
local layer = top_layer()
if layer then redis.call('HLEN', P .. 'undo/' .. layer) end
if redis.acl_check_cmd then
  local needed = {
    {'HSET', 'rows/', 'f', 'v'}, {'HSET', 'cells/', 'f', 'v'}, {'HSET', 'undo/', 'f', 'v'}, {'ZADD', 'keys/', 0, 'm'},
    {'ZADD', 'layers', 0, 'm'}, {'ZADD', 'doomed', 0, 'm'}, {'ZREM', 'leases', 'm'}, {'ZREM', 'leased', 'm'},
    {'ZREM', 'layers', 'm'}, {'ZREM', 'doomed', 'm'}, {'UNLINK', 'cells/'}, {'UNLINK', 'keys/'}, {'UNLINK', 'undo/'},
    {'UNLINK', 'staged/'}, {'HINCRBY', 'meta', 'f', 1}, {'INCR', 'version'}, {'HMGET', 'cells/', 'f'}, {'LRANGE', 'staged/', 0, 1},
    {'ZRANGEBYSCORE', 'leases', 0, 1}, {'ZRANGE', 'leased', 0, 0},
  }
  for i = 1, #needed do
    local c = needed[i]
    c[2] = P .. c[2]
    if not redis.acl_check_cmd(unpack(c)) then
      return redis.error_reply('NOPERM this user may not run ' .. c[1] .. ' on ' .. c[2])
    end
  end
end

-- When memory is used up the first write of a script is refused, and those behind it are not. Cells are refused; a drop makes room,
-- so it begins with a write that never is.
if #hashes == 0 then redis.call('ZREM', P .. 'doomed', '') end
redis.call('INCR', P .. 'version')

-- What no snapshot sees goes.
expire_leases()
local oldest = redis.call('ZRANGE', P .. 'leased', 0, 0, 'WITHSCORES')[2]
local below = oldest and ('(' .. oldest) or '+inf'
local layers = redis.call('ZRANGEBYSCORE', P .. 'layers', '-inf', below)
for i = 1, #layers do
  redis.call('UNLINK', P .. 'undo/' .. layers[i])
  redis.call('ZREM', P .. 'layers', layers[i])
end
local doomed = redis.call('ZRANGEBYSCORE', P .. 'doomed', '-inf', below)
for i = 1, #doomed do
  redis.call('UNLINK', P .. 'cells/' .. doomed[i], P .. 'keys/' .. doomed[i])
  redis.call('ZREM', P .. 'doomed', doomed[i])
end

layer = top_layer()

-- Puts what is overwritten into the layer, where that has nothing of it yet.
local function keep(hash, list, first, last)
  local undo, names, fields = P .. 'undo/' .. layer, {}, {}
  for i = first, last, 2 do
    names[#names + 1] = list[i]
    fields[#fields + 1] = hash.name .. ' ' .. list[i]
  end
  local before, kept = hmget(hash.key, names, 1, #names), hmget(undo, fields, 1, #fields)
  local pairs_of = {}
  for i = 1, #names do
    if not kept[i] then
      pairs_of[#pairs_of + 1] = fields[i]
      pairs_of[#pairs_of + 1] = before[i] and ('p' .. before[i]) or 'a'
    end
    if #pairs_of >= GROUP or (i == #names and #pairs_of > 0) then
      redis.call('HSET', undo, unpack(pairs_of))
      pairs_of = {}
    end
  end
  redis.call('ZADD', P .. 'layers', layer, layer)
end

local function write(hash, list, first, last)
  if layer and hash.known then keep(hash, list, first, last) end
  for from = first, last, GROUP do
    redis.call('HSET', hash.key, unpack(list, from, math.min(from + GROUP - 1, last)))
  end
end

local function list_keys(hash, list, first, last)
  local members = {}
  for i = first, last, 2 do
    members[#members + 1] = 0
    members[#members + 1] = list[i]
    if #members >= GROUP then
      redis.call('ZADD', hash.keys, unpack(members))
      members = {}
    end
  end
  if #members > 0 then redis.call('ZADD', hash.keys, unpack(members)) end
end

for h = 1, #hashes do
  local hash = hashes[h]
  if hash.staged == '' then
    write(hash, ARGV, hash.first, hash.first + 2 * hash.count - 1)
    list_keys(hash, ARGV, hash.first, hash.first + 2 * hash.new - 1)
  else
    for from = 0, 2 * hash.count - 1, GROUP do
      local part = redis.call('LRANGE', hash.staged, from, from + GROUP - 1)
      write(hash, part, 1, #part)
      list_keys(hash, part, 1, math.min(#part, 2 * hash.new - from))
    end
    redis.call('UNLINK', hash.staged)
  end
end
for d = 1, #dooms do
  if layer then
    redis.call('ZADD', P .. 'doomed', layer, dooms[d])
  else
    redis.call('UNLINK', P .. 'cells/' .. dooms[d], P .. 'keys/' .. dooms[d])
  end
end
for r = 1, #rows do
  redis.call('HSET', rows[r][1], rows[r][2], rows[r][4])
  if rows[r][3] == '' then
    redis.call('HINCRBY', P .. 'meta', 'count' .. string.sub(rows[r][1], #P + 5), 1)
  end
end
return {'done'}
