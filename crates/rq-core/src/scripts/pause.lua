-- pause: cron entries fire no more until somebody resumes them, or they are resumed.
--
-- KEYS  1 rq:cron_entries   then the hashes of the entries
-- ARGV  1 `1` pauses · `0` resumes   2 how many entries
-- Effect  `paused` in each hash that is an entry's. Ticks that come up meanwhile are decided, and dropped.
-- Result  per entry: 1 done · 0 there is none, or the key is no hash
-- Re-send: writes the same.
-- The first write is a HSET, which a full Redis refuses, or a HDEL.
redis.call('SCARD', KEYS[1])
local answers = {}
for k = 2, 1 + tonumber(ARGV[2]) do
  local schedule = redis.pcall('HGET', KEYS[k], 'schedule')
  local is_there = type(schedule) == 'string'
  if is_there and ARGV[1] == '1' then
    redis.call('HSET', KEYS[k], 'paused', '1')
  elseif is_there then
    redis.call('HDEL', KEYS[k], 'paused')
  end
  answers[#answers + 1] = is_there and 1 or 0
end
return answers
