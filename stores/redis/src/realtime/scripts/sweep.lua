-- Deletes keys that no row named. KEYS[1] is the prefix of the namespace; what was made again there meanwhile is left alone.
if redis.call('EXISTS', KEYS[1] .. 'meta') == 1 then
  return 0
end
for i = 1, #ARGV do
  redis.call('UNLINK', ARGV[i])
end
return 1
