-- claim: takes job ids off queues and makes them this worker's in the same script, so that an id is always in a queue
-- or in rq:wip, whenever the worker dies.
--
-- KEYS  1 worker hash   2 rq:worker:<w>:executions   3 rq:claims:<w>   4 rq:suspended   5 rq:leases
--       6 rq:unbegun:<w>   then the queue lists, in the order to serve
-- ARGV  1 prefix   2 worker name   3 now (T)   4 now (E)   5 now (I)   6 heartbeat ttl, seconds
--       7 claim number, rising; of two claims that are under way at once one is even, one odd
--       8 ttl of the worker hash   9 ttl of rq:worker:<w>:executions   10 lease, ms
--       11 most jobs of one queue before the next queue's turn, 0 for as many as it has   12 number of queues
--       then the queues' names, then fresh execution ids: as many as jobs are wanted
-- Effect  per job: execution hash, rq:executions:<id>, rq:wip:<origin>, lease, job hash (started), rq:unbegun:<w>;
--         worker's set, state
-- Result  `suspended` | `stale` | `ok` or `more` (as many were dropped as one call may), then triples: `c`, id, origin
--         (claimed; the k-th has the k-th execution id) or `d`, id, reason (dropped from the list)
-- Re-send: the answer of that number is given again; a lower one that is as even or odd is stale and does nothing.
-- Wrong types of our own keys, and commands that the user may not run, fail in the preflight, before anything is popped.
-- The first write is EXPIRE, which runs at maxmemory. What belongs to one job is checked or a pcall, so that it harms that job alone, and so that
-- nothing fails between an LPOP and the books: ids are popped several at once.
local P, worker, T, E, I, ttl, number, worker_ttl =
  ARGV[1], ARGV[2], ARGV[3], ARGV[4], tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7]), ARGV[8]
local lease_ms, per_turn, queues = tonumber(ARGV[10]), tonumber(ARGV[11]), tonumber(ARGV[12])
local JOB, EXECUTION, EXECUTIONS = P .. ':job:', P .. ':execution:', P .. ':executions:'
-- As text, made once: to turn a number into text costs as much as a command.
local index_ttl, index_score, wip_score =
  string.format('%.0f', ttl + 60), string.format('%.0f', I + ttl + 60), string.format('%.0f', I + ttl)

local number_field, answer_field = 'number' .. number % 2, 'answer' .. number % 2
local before = redis.call('HMGET', KEYS[3], number_field, answer_field)
local last = tonumber(before[1] or 0)
if number == last then return cmsgpack.unpack(before[2]) end
if number < last then return {'stale'} end
if redis.call('EXISTS', KEYS[4]) == 1 then return {'suspended'} end
redis.call('SCARD', KEYS[2])
redis.call('SCARD', KEYS[6])
-- These look at types as well, and would be refused here where they may not be run further down.
redis.call('HEXISTS', KEYS[1], 'data')
redis.call('ZSCORE', KEYS[5], '')
local clock = redis.call('TIME')
need('HSET', KEYS[1], '', '', '')
need('ZADD', KEYS[5], '', '')
need('ZRANGE', KEYS[5], '0', '0')
need('PERSIST', JOB)
local registered = redis.call('EXPIRE', KEYS[1], worker_ttl) == 1
if may_run or registered then need('SADD', KEYS[1], '') end

-- Whether a run that is under way is the one that the record shows, and of a worker of Python's, which names no execution
-- there. Such a worker fetches a job, and marks it as started a little later: whoever enqueued the id in between finds that
-- mark on the new life, and in Python's own fleet a copy in the list is run whatever the record says.
local function is_pythons(id, x, record)
  return x ~= record.execution and record.worker
    and redis.pcall('HGET', EXECUTION .. id .. ':' .. x, 'worker_name') == record.worker
end

local function runs(id, origin, record)
  local xs = redis.pcall('ZRANGE', EXECUTIONS .. id, 0, -1)
  if xs.err then return false end
  local is_live = false
  for _, x in ipairs(xs) do
    if tonumber(redis.pcall('ZSCORE', P .. ':wip:' .. origin, id .. ':' .. x)) then
      if is_pythons(id, x, record) then return false end
      is_live = true
    end
  end
  return is_live
end

-- Whether the end that the record shows is one that a worker of ours wrote. Python's worker writes the record of its own
-- life over whatever life the job has been given since: what is in the list after that is a life that nobody has begun.
local function is_end_of_ours(id, settled)
  local last = redis.pcall('XREVRANGE', P .. ':results:' .. id, '+', '-', 'COUNT', 1)
  if last.err or not last[1] then return true end
  local fields = last[1][2]
  for k = 1, #fields, 2 do
    if fields[k] == 'execution_id' then return fields[k + 1] == settled end
  end
  return false
end

-- Whether the copy in the list is one too many: an execution runs the job already, or a registry provably has it.
local function elsewhere(id, job, status, origin)
  local was = redis.pcall('HMGET', job, 'execution', 'settled', 'worker_name')
  if status == 'started' then return runs(id, origin, {execution = was[1], worker = was[3]}) end
  local registry = REGISTRY[status] and P .. REGISTRY[status] .. origin
  if not registry or not tonumber(redis.pcall('ZSCORE', registry, id)) then return false end
  if not ENDED[status] or status == 'canceled' or is_end_of_ours(id, was[2]) then return true end
  redis.pcall('ZREM', registry, id)
  return false
end

-- Whether a name is well-formed UTF-8, which Python takes every member of a registry for.
local UTF8 = {'^[%z\1-\127]+', '^[\194-\223][\128-\191]', '^\224[\160-\191][\128-\191]',
  '^[\225-\236\238\239][\128-\191][\128-\191]', '^\237[\128-\159][\128-\191]',
  '^\240[\144-\191][\128-\191][\128-\191]', '^[\241-\243][\128-\191][\128-\191][\128-\191]',
  '^\244[\128-\143][\128-\191][\128-\191]'}
local function is_text(name)
  if not string.find(name, '[\128-\255]') then return true end
  local at = 1
  while at <= #name do
    local last
    for _, part in ipairs(UTF8) do
      last = last or select(2, string.find(name, part, at))
    end
    if not last then return false end
    at = last + 1
  end
  return true
end

-- Per origin met: whether its rq:wip can hold jobs, and the entries that go there. They are written at the end, one
-- command for each origin.
local books = {}

local function book_of(origin)
  local book = books[origin]
  if not book then
    local found = redis.pcall('ZSCORE', P .. ':wip:' .. origin, '')
    book = {usable = type(found) ~= 'table', is_text = is_text(origin), entries = {},
      seen = P .. ':queue:' .. origin .. ':intermediate:first_seen:'}
    books[origin] = book
  end
  return book
end

-- What this call has claimed, `<id>:<x>`; and by id, as a list may hold an id twice.
local members, ours = {}, {}

-- The origin, if the id may be claimed; else nil and the reason.
local function claimable(id, job, queue)
  local was = redis.pcall('HMGET', job, 'status', 'origin')
  if was.err then return nil, 'wrongtype' end
  if redis.pcall('HEXISTS', job, 'data') ~= 1 then return nil, 'gone' end
  local status, origin = was[1], was[2]
  if not origin or origin == '' then
    origin = queue
    redis.pcall('HSET', job, 'origin', origin)
  end
  -- In no registry: Python decodes all members, and could list none of them.
  if not is_text(id) then return nil, 'nottext' end
  local book = book_of(origin)
  if not book.is_text then
    file_as_failed(id, queue, T)
    return nil, 'badorigin'
  end
  if status and status ~= 'queued' and (ours[id] or elsewhere(id, job, status, origin)) then return nil, status end
  if not book.usable then
    file_as_failed(id, origin, T)
    return nil, 'badkeys'
  end
  return origin
end

local answer = {'ok'}

-- Makes the job this worker's. False where rq:executions:<id> cannot hold it.
local function claim(id, job, origin, x)
  local member, executions = id .. ':' .. x, EXECUTIONS .. id
  if type(redis.pcall('ZADD', executions, index_score, x)) ~= 'number' then return false end
  redis.pcall('EXPIRE', executions, index_ttl)
  local execution = EXECUTION .. member
  redis.pcall('HSET', execution, 'id', x, 'job_id', id, 'created_at', E, 'last_heartbeat', E, 'worker_name', worker)
  redis.pcall('EXPIRE', execution, ARGV[6])
  redis.pcall('HSET', job, 'status', 'started', 'started_at', T, 'last_heartbeat', T, 'worker_name', worker,
    'execution', x)
  redis.pcall('PERSIST', job)
  local entries = books[origin].entries
  entries[#entries + 1] = wip_score
  entries[#entries + 1] = member
  members[#members + 1] = member
  ours[id] = true
  return true
end

local function tell(kind, id, what)
  answer[#answer + 1] = kind
  answer[#answer + 1] = id
  answer[#answer + 1] = what
end

-- Bounds one call: a list full of ids to drop must not hold Redis up. The answer is `more`, and the next call goes on.
local DROPS_MAX = 1000
local next_x, drops, seen = 13 + queues, 0, {}

-- Claims an id that was popped, or drops it.
local function take(id, queue)
  local job = JOB .. id
  local origin, why = claimable(id, job, queue)
  if origin and not claim(id, job, origin, ARGV[next_x]) then
    file_as_failed(id, origin, T)
    origin, why = nil, 'badkeys'
  end
  if not origin then
    tell('d', id, why)
    drops = drops + 1
    return false
  end
  tell('c', id, origin)
  seen[#seen + 1] = books[origin].seen .. id
  next_x = next_x + 1
  return true
end

-- Takes from one list until it is empty, or its turn is over. Whether it may have more.
local function serve(list, queue)
  local taken = 0
  while next_x <= #ARGV and drops < DROPS_MAX do
    if per_turn > 0 and taken == per_turn then return true end
    local wanted = #ARGV - next_x + 1
    if per_turn > 0 then wanted = math.min(wanted, per_turn - taken) end
    -- Several at once: in a script each command costs about as much for being called as for what it does.
    local ids = write('LPOP', list, wanted)
    if not ids then return false end
    if ids.err then
      tell('d', queue, 'wronglist')
      return false
    end
    for _, id in ipairs(ids) do
      if take(id, queue) then taken = taken + 1 end
    end
    if #ids < wanted then return false end
  end
  return false
end

local turns = {}
for q = 1, queues do turns[q] = q end
while #turns > 0 do
  local again = {}
  for _, q in ipairs(turns) do
    if serve(KEYS[6 + q], ARGV[12 + q]) then again[#again + 1] = q end
  end
  turns = again
end

if #members > 0 then
  for origin, book in pairs(books) do
    if #book.entries > 0 then redis.call('ZADD', P .. ':wip:' .. origin, unpack(book.entries)) end
  end
  local until_ms =
    string.format('%.0f', tonumber(clock[1]) * 1000 + math.floor(tonumber(clock[2]) / 1000) + lease_ms)
  local leases = {}
  for k, member in ipairs(members) do
    leases[2 * k - 1] = until_ms
    leases[2 * k] = member
  end
  redis.call('ZADD', KEYS[5], unpack(leases))
  redis.call('SADD', KEYS[2], unpack(members))
  redis.call('EXPIRE', KEYS[2], ARGV[9])
  redis.call('SADD', KEYS[6], unpack(members))
  redis.call('EXPIRE', KEYS[6], worker_ttl)
  -- The worker writes a record that has expired anew; a record with this field alone would pass for a whole one.
  if registered then redis.call('HSET', KEYS[1], 'state', 'busy') end
  redis.pcall('DEL', unpack(seen))
end
if drops >= DROPS_MAX then answer[1] = 'more' end
if #answer > 1 then
  -- An answer without jobs needs no repetition: sent again, such a claim may as well find some.
  redis.call('HSET', KEYS[3], number_field, ARGV[7], answer_field, cmsgpack.pack(answer))
  redis.call('EXPIRE', KEYS[3], worker_ttl)
end
return answer
