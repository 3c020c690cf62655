-- cancel: cancels a job, whatever it is doing: no worker starts it any more, and the worker that runs it has lost it.
--
-- KEYS  1 job hash
-- ARGV  1 prefix   2 now (T)   3 now (I)   4 id   5 token of this call
--       6 `1` to release the dependents: the job holds them back no longer
--       7 `1` to leave the sets of dependents of the jobs it waited for
-- Effect  out of the queue and of the registry of its status; its executions with their leases gone; its rate-limit
--         slot free; job hash (canceled), canceled registry; out of its group's open members; dependents that wait no
--         longer queued, a bounded number
-- Result  1 canceled · 4 canceled, and dependents are left: call release with `past` until it says none
--         0 no such job · `canceled`, by another call
-- Re-send: the job's private field `canceled` holds the token, so the answer is 1, or 4 while it has dependents.
-- A wrong type of the canceled registry fails here, before the first write. That is LREM, which runs at maxmemory.
local P, T, I, id, token = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4], ARGV[5]
local releases, leaves = ARGV[6] == '1', ARGV[7] == '1'
local job = P .. ':job:' .. id
local was = redis.pcall('HMGET', job, 'status', 'origin', 'canceled', 'group_id')
if was.err or redis.call('HEXISTS', job, 'data') == 0 then return 0 end
local status, origin = was[1] or '', was[2] or ''
if status == 'canceled' then
  if was[3] ~= token then return 'canceled' end
  local left = releases and redis.pcall('SCARD', job .. ':dependents')
  return type(left) == 'number' and left > 0 and 4 or 1
end
local canceled = P .. ':canceled:' .. origin
redis.call('ZCARD', canceled)

withdraw(id, origin, {REGISTRY[status]}, T, I)
redis.call('HSET', job, 'status', 'canceled', 'canceled', token)
redis.call('ZADD', canceled, I, id)
if was[4] and was[4] ~= '' then leave_group(was[4], id, T, I) end
if leaves then leave_dependencies(id, dependencies_of(id)) end
if not releases then
  redis.call('HDEL', job, 'released')
  return 1
end
-- Should the caller die before all dependents are released, maintenance sees by this that the job holds nobody back.
redis.call('HSET', job, 'released', 1)
return release_dependents(id, '0', true, T, I) == '0' and 1 or 4
