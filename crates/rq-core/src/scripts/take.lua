-- take: takes entries of one box of the outbox, each for one worker.
--
-- KEYS  1 the box
-- ARGV  1 prefix   2 token, which names this take   3 how long they are taken for, in ms   4 `again`: what was taken and
--       not delivered in that time is taken again; `once`: it is given up   then names of entries
-- Effect  per entry that is due: its holder, one attempt more, due again when that time is over. One to be given up, or
--         without a body, is gone
-- Result  per entry, of one that is named twice the first time: how it is, how often it was taken, its body
--         0 not due, or somebody else's · 1 taken · 2 given up: whoever took it is gone, and what it did is not known
--         3 not there
-- Re-send: what the token has taken is answered once more.
-- Times are Redis' TIME. The first write is EXPIRE or ZREM, which run at maxmemory.
local P, token, hold_ms, how = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4]
local clock = redis.call('TIME')
local now_ms = tonumber(clock[1]) * 1000 + math.floor(tonumber(clock[2]) / 1000)

local function take(name)
  local entry = P .. ':outbox:entry:' .. name
  local was = ask('HMGET', entry, 'body', 'attempts', 'holder')
  local body, attempts, holder = was[1], tonumber(was[2]) or 0, was[3] or ''
  if was.err or not body then
    write('ZREM', KEYS[1], name)
    return {3, 0, ''}
  end
  if holder == token then return {1, attempts, body} end
  local due_ms = tonumber(ask('ZSCORE', KEYS[1], name))
  if not due_ms or due_ms > now_ms then return {0, 0, ''} end
  if holder ~= '' and how == 'once' then
    write('ZREM', KEYS[1], name)
    redis.pcall('DEL', entry)
    return {2, attempts, body}
  end
  local ttl = ask('TTL', entry)
  write('EXPIRE', entry, math.max(type(ttl) == 'number' and ttl or 0, math.ceil(hold_ms / 1000) + 1))
  redis.pcall('ZADD', KEYS[1], string.format('%.0f', now_ms + hold_ms), name)
  redis.pcall('HSET', entry, 'holder', token, 'attempts', attempts + 1)
  return {1, attempts + 1, body}
end

local answers, named = {}, {}
for i = 5, #ARGV do
  -- Else the token would answer a second time in one sending, and what is to be done once would be done twice.
  answers[#answers + 1] = named[ARGV[i]] and {0, 0, ''} or take(ARGV[i])
  named[ARGV[i]] = true
end
return answers
