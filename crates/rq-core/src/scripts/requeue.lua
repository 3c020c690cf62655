-- requeue: puts ended jobs into their queues again.
--
-- KEYS  1 rq:queues, for routing alone
-- ARGV  1 prefix   2 now (T)   3 now (I)   4 token of this call   5 side, `L` the head of the queue or `R` its tail
--       6 the registry they are in, `failed` or `finished`; empty for the one their status names   7 its queue
--       then ids
-- Effect  per job: out of its registry, job hash (queued, or waiting for its rate limit's slot), queue list; its ttl
--         counts from now on, and that of its end is lifted; among its group's open members, while that waits for its end
-- Result  per id: 1 queued · 0 not in the registry · 2 in the registry, but elsewhere as well: it waits, runs, was
--         canceled, or has ended since in another registry · 3 no such job; its id is out of the registry now
-- Re-send: the job's private field `requeued` holds the token, so the answer is 1, whatever it did since.
-- The fence is the first write: ZREM from the registry, which runs at maxmemory. What belongs to one job is a pcall.
local P, T, I, token, side, named, queue = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4], ARGV[5], ARGV[6], ARGV[7]
local ENDED = {failed = ':failed:', stopped = ':failed:', finished = ':finished:'}
local ELSEWHERE = {queued = true, started = true, deferred = true, ready_to_enqueue = true, scheduled = true,
  rate_limited = true, canceled = true}
-- RQ's `exc_info` of a requeued job: an empty text, deflated (docs/wire.md §3).
local NO_TEXT = '\120\156\3\0\0\0\0\1'

local function requeue(id)
  local job = P .. ':job:' .. id
  local was = redis.pcall('HMGET', job, 'status', 'origin', 'requeued', 'group_id')
  local is_job = not was.err and redis.pcall('HEXISTS', job, 'data') == 1
  -- This call has requeued the job before, and it may have run and failed since: it must not run once more for that.
  if is_job and was[3] == token then return 1 end
  local status = is_job and was[1] or ''
  local origin = is_job and was[2] and was[2] ~= '' and was[2] or queue
  local registry = named ~= '' and P .. ':' .. named .. ':' .. queue
  if not registry then
    if not is_job then return 3 end
    if not ENDED[status] then return 0 end
    registry = P .. ENDED[status] .. origin
  end
  -- The same id may have been enqueued again since, here or in another queue, and have ended there: its record names
  -- another end than the registry, or another queue, whose registry has it.
  local ended = ENDED[status]
  local has_ended_since = ended and named ~= '' and (ended ~= ':' .. named .. ':'
    or origin ~= queue and tonumber(redis.pcall('ZSCORE', P .. ended .. origin, id)))
  if ELSEWHERE[status] or has_ended_since then return tonumber(redis.pcall('ZSCORE', registry, id)) and 2 or 0 end
  local was_there = write('ZREM', registry, id) == 1
  if not is_job then return 3 end
  if not was_there then return 0 end
  for _, other in ipairs({':finished:', ':failed:', ':canceled:'}) do redis.pcall('ZREM', P .. other .. origin, id) end
  redis.pcall('HSET', job, 'started_at', '', 'ended_at', '', 'exc_info', NO_TEXT, 'requeued', token)
  if was[4] and was[4] ~= '' then rejoin_group(was[4], id, I) end
  local key, slots = rate_limit_of(job)
  if key then
    redis.pcall('HSET', job, 'enqueue_at_front', side == 'L' and 1 or 0)
    redis.pcall('SADD', P .. ':queues', P .. ':queue:' .. origin)
    wait_for_slot(id, key, slots, origin, T, I)
  else
    put_into_queue(id, origin, side, T)
  end
  return 1
end

local answers = {}
for i = 8, #ARGV do answers[#answers + 1] = requeue(ARGV[i]) end
return answers
