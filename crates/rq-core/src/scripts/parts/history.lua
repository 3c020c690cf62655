-- part history: the jobs of a cron entry, newest last, as Python's tools read them. Needs lifetime.

-- How many are kept, and for how long after the last one.
local KEPT, KEPT_S = 1000, 31536000

-- Enters a job that was enqueued at `E`.
local function file(name, id, E)
  local history = PREFIX .. ':cron_job:' .. name .. ':jobs'
  redis.call('ZADD', history, E, id)
  redis.call('ZREMRANGEBYRANK', history, 0, -(KEPT + 1))
  redis.call('EXPIRE', history, KEPT_S)
  redis.call('ZADD', PREFIX .. ':cron_jobs', E, name)
end
