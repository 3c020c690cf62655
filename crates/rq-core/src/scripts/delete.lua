-- delete: takes a job out of its queue and all registries, and removes its record. Its dependents are released first,
-- since a job that is gone holds nobody back.
--
-- KEYS  1 job hash
-- ARGV  1 prefix   2 now (T)   3 now (I)   4 id
-- Effect  out of the queue and of all registries, and of the sets of dependents of the jobs it waited for; its
--         executions with their leases gone; its rate-limit slot free; out of its group's open members; its dependents
--         queued that wait no longer, a bounded number; then its group, hash, sets and results
-- Result  1 gone · 4 dependents are left: call release, with the job to be discarded, until it says none
-- Re-send: removes what is left, which is what was asked for.
-- The first write is LREM or DEL, which run at maxmemory. All is a pcall: a job whose keys are broken goes, too.
local P, T, I, id = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4]
local REGISTRIES = {':finished:', ':failed:', ':deferred:', ':ready:', ':scheduled:', ':canceled:'}
local job = P .. ':job:' .. id
local origin, group = redis.pcall('HGET', job, 'origin'), redis.pcall('HGET', job, 'group_id')

if type(origin) == 'string' then
  withdraw(id, origin, REGISTRIES, T, I)
else
  redis.call('DEL', P .. ':executions:' .. id)
end
leave_dependencies(id, dependencies_of(id))
if type(group) == 'string' and group ~= '' then leave_group(group, id, T, I) end
if release_dependents(id, '0', true, T, I) == '0' then
  discard(id)
  return 1
end
-- The record stays until the dependents are released, in no queue and no registry, so that only they find it;
-- `released` says that it holds them back no longer.
if redis.pcall('HEXISTS', job, 'data') == 1 then redis.pcall('HSET', job, 'status', 'canceled', 'released', 1) end
expire(id, RELEASING_S)
return 4
