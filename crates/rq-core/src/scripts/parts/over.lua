-- part over: whether a job still holds its dependents back. Needs lifetime.

-- Whether `id` holds no dependent back: it has finished, or failed where that is allowed, or is gone. A canceled job
-- whose dependents were released has the private field `released`.
local function is_over(id, failures_allowed)
  local job = PREFIX .. ':job:' .. id
  local was = redis.pcall('HMGET', job, 'status', 'released')
  if was.err or redis.pcall('HEXISTS', job, 'data') ~= 1 then return true end
  return was[1] == 'finished' or (was[1] == 'failed' and failures_allowed) or (was[1] == 'canceled' and was[2] == '1')
end
