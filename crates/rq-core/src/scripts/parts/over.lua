-- part over: whether others may go on. Needs lifetime.

-- Whether `id` holds nobody back: it ended well, or as badly as is allowed, or is gone. A canceled one whose
-- dependents were let go has the private field `released`.
local function is_over(id, failures_allowed)
  local job = PREFIX .. ':job:' .. id
  local was = redis.pcall('HMGET', job, 'status', 'released')
  if was.err or redis.pcall('HEXISTS', job, 'data') ~= 1 then return true end
  return was[1] == 'finished' or (was[1] == 'failed' and failures_allowed) or (was[1] == 'canceled' and was[2] == '1')
end
