-- part group: the end of a group, for which jobs wait (docs/design/groups.md). Needs place, rate_limit and remove.
--
-- While somebody waits for a group's end, its `rq:group_open` has the ids of the members that have not ended, and
-- `hold:<id>` for each declaration that is under way; job ids have no colon. Whoever takes the last one out of it ends the
-- group. So nobody counts, and what is taken out twice is taken out once.

local function open_of(group) return PREFIX .. ':group_open:' .. group end
local function ends_of(group) return PREFIX .. ':group_ends:' .. group end

-- The origin of job `id` if it waits for the group's end; else nil.
local function waits_for_end(id, group)
  local was = redis.pcall('HMGET', PREFIX .. ':job:' .. id, 'status', 'after_group', 'origin')
  return not was.err and was[1] == 'deferred' and was[2] == group and was[3] or nil
end

-- The jobs that wait for the group's end, each with its origin.
local function waiting_for_end(group)
  local waiting, ids = {}, redis.pcall('SMEMBERS', ends_of(group))
  for _, id in ipairs(ids.err and {} or ids) do
    local origin = waits_for_end(id, group)
    if origin then waiting[#waiting + 1] = {id, origin} end
  end
  return waiting
end

local function forget_ends(group)
  redis.pcall('DEL', open_of(group), ends_of(group))
  redis.pcall('ZREM', PREFIX .. ':group_ends', group)
end

-- Lets the jobs go on that wait for the group's end, and returns how many they were.
local function end_group(group, T, I)
  local waiting = waiting_for_end(group)
  for _, job in ipairs(waiting) do
    redis.pcall('ZREM', PREFIX .. ':deferred:' .. job[2], job[1])
    let_go_on(job[1], job[2], T, I)
  end
  forget_ends(group)
  return #waiting
end

-- Takes an ended member out, and ends the group if it was the last one that had not.
local function leave_group(group, id, T, I)
  local open = open_of(group)
  if redis.pcall('ZREM', open, id) == 1 and redis.pcall('EXISTS', open) == 0 then end_group(group, T, I) end
end

-- A member that runs again is waited for again, unless the group's end has come.
local function rejoin_group(group, id, I)
  local open = open_of(group)
  if redis.pcall('EXISTS', open) == 1 then redis.pcall('ZADD', open, string.format('%.0f', I * 1000), id) end
end

-- Whether `id` is a member that has not ended.
local function is_open(id, group)
  local job = PREFIX .. ':job:' .. id
  local was = redis.pcall('HMGET', job, 'status', 'group_id')
  return not was.err and was[2] == group and not ENDED[was[1]] and redis.pcall('HEXISTS', job, 'data') == 1
end
