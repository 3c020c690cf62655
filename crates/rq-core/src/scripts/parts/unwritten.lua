-- part unwritten: ids in a schedule whose job is not there, or not yet.
--
-- Python before 3.0 puts an id into the schedule in one step and writes its job in the next (docs/wire.md §22). Whoever
-- takes an id off that has no job may be in between, and the job would be in nobody's books. So it is taken off when it is
-- seen for the second time. A fraction in its score says that it was seen: producers write whole seconds.
local SEEN = 0.5

-- Whether the id has no job and was not seen without one before: it is due at the second `due` from now on, or when it was.
local function is_put_off(schedule, id, due)
  if redis.pcall('HEXISTS', PREFIX .. ':job:' .. id, 'data') ~= 0 then return false end
  local score = tonumber(redis.call('ZSCORE', schedule, id))
  if not score or score % 1 ~= 0 then return false end
  redis.call('ZADD', schedule, 'XX', string.format('%.1f', (due or score) + SEEN), id)
  return true
end
