-- part fence: which executions are a worker's. Needs refusal.
--
-- Those in rq:wip are. Others are lost, unless rq:wip itself has lost them: somebody has deleted it, or Redis evicted it.

-- Whether the job's hash says that execution x of that worker runs it. Who cancels, deletes, ends, reaps or puts back a
-- job says so there, and so does who claims it anew: of an execution that rq:wip lacks for such a reason this is false.
local function runs_as(prefix, id, x, worker)
  local was = ask('HMGET', prefix .. ':job:' .. id, 'status', 'worker_name', 'execution')
  return not was.err and was[1] == 'started' and was[2] == worker and was[3] == x
end

-- For each execution, `<id>:<x>` with the origin of the same index, whether it is that worker's. One that rq:wip has lost
-- itself is there again, until the second `score`.
local function hold(prefix, worker, score, origins, members)
  local groups, held = {}, {}
  for k, origin in ipairs(origins) do
    local group = groups[origin] or {}
    groups[origin] = group
    group[#group + 1] = k
  end
  for origin, group in pairs(groups) do
    local wip, asked = prefix .. ':wip:' .. origin, {}
    for n, k in ipairs(group) do asked[n] = members[k] end
    local scores = ask('ZMSCORE', wip, unpack(asked))
    for n, k in ipairs(group) do
      held[k] = not scores.err and scores[n] ~= false
      if not held[k] then
        local id, x = string.match(members[k], '^(.*):(.*)$')
        held[k] = runs_as(prefix, id, x, worker)
        if held[k] then redis.pcall('ZADD', wip, score, members[k]) end
      end
    end
  end
  return held
end
