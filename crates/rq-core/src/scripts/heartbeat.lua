-- heartbeat: writes that a worker is alive, and which executions it still runs.
--
-- KEYS  1 worker hash   2 rq:worker:<w>:executions
-- ARGV  1 prefix   2 now (T)   3 now (E)   4 now (I)   5 heartbeat ttl of an execution, seconds
--       6 ttl of the worker hash   7 ttl of rq:worker:<w>:executions   8 new state, or empty
--       9 when asked to stop while busy (T), or empty   10 worker name   then per execution: origin, id, x
-- Effect  TTLs and times of the worker, and of each execution that is still its own and of its job, unless that is in
--         another life. Those that rq:wip has lost itself are there again
-- Result  -1 when the worker hash is gone (register again), else how many; then per execution 1 alive · 0 lost
-- Re-send: writes the same again.
-- The first write is EXPIRE, which runs at maxmemory.
local P, T, E, I, ttl, worker = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[5]), ARGV[10]
local answers = {redis.call('EXPIRE', KEYS[1], ARGV[6]) == 1 and (#ARGV - 10) / 3 or -1}
redis.call('EXPIRE', KEYS[2], ARGV[7])
-- The worker writes a record that has expired anew; a record with these fields alone would pass for a whole one.
if answers[1] >= 0 then
  redis.call('HSET', KEYS[1], 'last_heartbeat', T)
  if ARGV[8] ~= '' then redis.call('HSET', KEYS[1], 'state', ARGV[8]) end
  if ARGV[9] ~= '' then redis.call('HSET', KEYS[1], 'shutdown_requested_date', ARGV[9]) end
end
local origins, members = {}, {}
for i = 11, #ARGV, 3 do
  origins[#origins + 1] = ARGV[i]
  members[#members + 1] = ARGV[i + 1] .. ':' .. ARGV[i + 2]
end
for k, alive in ipairs(hold(P, worker, I + ttl, origins, members)) do
  if alive then
    local id, x, m = ARGV[9 + 3 * k], ARGV[10 + 3 * k], members[k]
    local execution, executions, job = P .. ':execution:' .. m, P .. ':executions:' .. id, P .. ':job:' .. id
    redis.pcall('ZADD', P .. ':wip:' .. origins[k], I + ttl, m)
    if redis.pcall('EXPIRE', execution, ttl) == 1 then redis.pcall('HSET', execution, 'last_heartbeat', E) end
    redis.pcall('ZADD', executions, 'XX', I + ttl + 60, x)
    redis.pcall('EXPIRE', executions, ttl + 60)
    if runs_as(P, id, x, worker) then redis.pcall('HSET', job, 'last_heartbeat', T) end
  end
  answers[#answers + 1] = alive and 1 or 0
end
return answers
