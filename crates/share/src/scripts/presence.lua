-- Says that a replica is here, and asks who else is.
--
-- KEYS  1 the replicas: when each was last heard, Unix milliseconds
-- ARGV  1 replica   2 milliseconds after which one that is not heard is missing   3 1: this one leaves
-- Answers how many are here, and how many are missing: not heard, not gone, and heard on this UTC day or within the last
-- hour. One that fell silent before midnight may go on counting by itself, on the new day too.

local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local midnight = math.floor(now / 86400000) * 86400000
local forgotten = math.min(midnight, now - 3600000)
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', '(' .. string.format('%.0f', forgotten))
if ARGV[3] == '1' then
  redis.call('ZREM', KEYS[1], ARGV[1])
else
  redis.call('ZADD', KEYS[1], string.format('%.0f', now), ARGV[1])
end
local late = string.format('%.0f', now - tonumber(ARGV[2]))
redis.call('EXPIRE', KEYS[1], 172800)
return { redis.call('ZCOUNT', KEYS[1], late, '+inf'), redis.call('ZCOUNT', KEYS[1], '-inf', '(' .. late) }
