-- pick_up: queues again, or files, ids that Python's workers took off a queue and never began, a bounded number a call.
--
-- KEYS  1 rq:queue:<q>:intermediate
-- ARGV  1 prefix   2 now (T)   3 now (E)   4 now (I)   5 the queue's name   6 a fresh execution id   7 index, 0 to
--       begin
-- Effect  per id that no entry of rq:wip holds: its hash is gone: off the list. Seen for the first time: noted in
--         Python's own first_seen key. Seen before, 60 s ago or more: off the list, and
--         · back at the head of its queue, if it never began (Python fails it), or
--         · into rq:wip as an execution that is over, if it is `started`: it may have begun, so `abandon` concludes it
--           as its options say
-- Result  the index to go on from, -1 when all were looked at; then per id taken off the list: the id and
--         `gone` · `left`, another queue or registry has it · `queued` · `started`
-- Re-send: those taken off are not there; the others are looked at again.
-- The first write is DEL or LREM, which run at maxmemory.
local P, T, E, I, queue, x = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4]), ARGV[5], ARGV[6]
local list = KEYS[1]
-- How many ids one call looks at.
local LOOKED_AT = 100
-- How much of a queue is searched, from either end. That takes milliseconds, so one call searches for one id. The claim
-- sorts out a second copy further inside.
local SEARCHED_MAX = 100000
-- In seconds, as in Python: a live worker needs milliseconds between its two steps.
local STUCK_S, NOTED_S = 60, 86400

-- The second that a time of the wire stands for, or nil.
local function epoch(time)
  local y, mon, d, h, min, s = string.match(time or '', '^(%d%d%d%d)-(%d%d)-(%d%d)T(%d%d):(%d%d):(%d%d%.?%d*)Z$')
  if not y then return nil end
  y, mon = tonumber(y), tonumber(mon)
  if mon <= 2 then y, mon = y - 1, mon + 12 end
  local days = 365 * y + math.floor(y / 4) - math.floor(y / 100) + math.floor(y / 400)
    + math.floor((153 * (mon - 3) + 2) / 5) + d - 719469
  return days * 86400 + h * 3600 + min * 60 + s
end

-- Whether an execution that its job still knows is in rq:wip. RQ before 2.0 has the id itself there.
local function runs(id, wip)
  if tonumber(redis.pcall('ZSCORE', wip, id)) then return true end
  local xs = redis.pcall('ZRANGE', P .. ':executions:' .. id, 0, -1)
  for _, known in ipairs(xs.err and {} or xs) do
    if tonumber(redis.pcall('ZSCORE', wip, id .. ':' .. known)) then return true end
  end
  return false
end

-- Whether any execution of the job is there, known or not; true if one scan does not answer that.
local function is_anywhere_in(wip, id)
  local pattern = string.gsub(id, '[%*%?%[%]\\]', '\\%0') .. ':*'
  local page = redis.pcall('ZSCAN', wip, '0', 'MATCH', pattern, 'COUNT', SEARCHED_MAX)
  return not page.err and (page[1] ~= '0' or #page[2] > 0)
end

local function is_queued(id, origin)
  local key = P .. ':queue:' .. origin
  for _, rank in ipairs({1, -1}) do
    if type(redis.pcall('LPOS', key, id, 'RANK', rank, 'MAXLEN', SEARCHED_MAX)) == 'number' then return true end
  end
  return false
end

local function is_in_its_book(id, job, origin, status)
  if status == 'rate_limited' then
    local key = rate_limit_of(job)
    local _, waiting = slots_of(key or '')
    return tonumber(redis.pcall('ZSCORE', waiting, id)) ~= nil
  end
  return REGISTRY[status] and tonumber(redis.pcall('ZSCORE', P .. REGISTRY[status] .. origin, id)) ~= nil
end

local function take_off(id, what)
  redis.call('DEL', list .. ':first_seen:' .. id)
  redis.call('LREM', list, 0, id)
  return what
end

-- DEL comes first as maxmemory would refuse a SET.
local function note(id)
  local key = list .. ':first_seen:' .. id
  redis.call('DEL', key)
  redis.call('SET', key, E, 'EX', NOTED_S)
end

-- Whether the id was seen here long enough ago. A note from before the job was last queued was meant for an earlier
-- stay (docs/wire.md §22-6).
local function is_due(id, enqueued_at)
  local seen, queued = tonumber(redis.pcall('GET', list .. ':first_seen:' .. id)), epoch(enqueued_at)
  local is_of_now = seen and not (queued and seen < queued and queued <= tonumber(E))
  if not is_of_now then note(id) end
  return is_of_now and E - seen >= STUCK_S
end

-- Of several copies the newest may have been popped just now: one is left, and seen anew.
local function had_copies(id)
  local copies = redis.call('LPOS', list, id, 'COUNT', 0, 'MAXLEN', SEARCHED_MAX)
  if #copies < 2 then return false end
  redis.call('LREM', list, #copies - 1, id)
  note(id)
  return true
end

-- What became of a stuck job; nil if there is nowhere to put it.
local function settle_stuck(id, job, origin, status)
  if ENDED[status] or is_in_its_book(id, job, origin, status) then return take_off(id, 'left') end
  if status == 'started' then
    if type(redis.pcall('ZCARD', P .. ':wip:' .. origin)) ~= 'number' then return nil end
    take_off(id)
    redis.call('ZADD', P .. ':wip:' .. origin, I, id .. ':' .. x)
    return 'started'
  end
  if is_queued(id, origin) then return take_off(id, 'left') end
  take_off(id)
  give_back(id, origin, T)
  return 'queued'
end

local has_searched = false

-- What became of the id, nil if it stays, or `later` when this call has searched for another.
local function look_at(id)
  local job = P .. ':job:' .. id
  local was = redis.pcall('HMGET', job, 'status', 'origin', 'enqueued_at')
  if was.err or redis.pcall('HEXISTS', job, 'data') ~= 1 then return take_off(id, 'gone') end
  local status, origin = was[1], was[2] or queue
  -- A queue of that name: these are its jobs.
  if origin == queue .. ':intermediate' then return nil end
  local wip = P .. ':wip:' .. origin
  if runs(id, wip) or not is_due(id, was[3]) then return nil end
  if has_searched then return 'later' end
  has_searched = true
  if had_copies(id) or is_anywhere_in(wip, id) then return nil end
  return settle_stuck(id, job, origin, status)
end

local answer = {tonumber(ARGV[7])}
local page = redis.call('LRANGE', list, ARGV[7], ARGV[7] + LOOKED_AT - 1)
local is_last = #page < LOOKED_AT
for _, id in ipairs(page) do
  local what = look_at(id)
  if what == 'later' then
    is_last = false
    break
  elseif what then
    answer[#answer + 1] = id
    answer[#answer + 1] = what
  else
    answer[1] = answer[1] + 1
  end
end
if is_last then answer[1] = -1 end
return answer
