-- deliver: ends an entry of the outbox that was taken, or puts it off.
--
-- KEYS  1 the box
-- ARGV  1 prefix   2 the entry's name   3 token of the take   4 in how many ms it is due again; empty where it is done
-- Effect  the entry is gone, or due then, without a holder
-- Result  1 done · 0 the token does not hold it
-- Re-send: answers 0 and does nothing.
-- The first write is ZREM, or an EXPIRE that changes nothing: both run at maxmemory.
local entry = ARGV[1] .. ':outbox:entry:' .. ARGV[2]
if ask('HGET', entry, 'holder') ~= ARGV[3] then return 0 end
if ARGV[4] == '' then
  write('ZREM', KEYS[1], ARGV[2])
  redis.pcall('DEL', entry)
  return 1
end
local clock = redis.call('TIME')
local now_ms = tonumber(clock[1]) * 1000 + math.floor(tonumber(clock[2]) / 1000)
write('EXPIRE', entry, math.max(1, ask('TTL', entry)))
redis.pcall('HSET', entry, 'holder', '')
redis.pcall('ZADD', KEYS[1], string.format('%.0f', now_ms + tonumber(ARGV[4])), ARGV[2])
return 1
