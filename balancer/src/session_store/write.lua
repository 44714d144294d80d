local held = redis.call('GET', KEYS[1])
local keep = tonumber(ARGV[2])
if held == ARGV[1] then
  if redis.call('PTTL', KEYS[1]) < keep then redis.call('PEXPIRE', KEYS[1], keep) end
  return false
end
if held then
  if ARGV[3] == '' or string.sub(held, 1, #ARGV[3]) ~= ARGV[3] then return held end
  keep = math.max(keep, redis.call('PTTL', KEYS[1]))
end
redis.call('SET', KEYS[1], ARGV[1], 'PX', keep)
if held then redis.call('PUBLISH', ARGV[4], string.sub(KEYS[1], -32) .. ' ' .. ARGV[1]) end
return false
