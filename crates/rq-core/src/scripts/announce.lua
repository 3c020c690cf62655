-- announce: a cron scheduler says which entries it has, and learns how far each has come.
--
-- KEYS  1 rq:cron_entries
-- ARGV  1 prefix   2 now, µs   3 `1` takes over an entry whose schedule is another there · `0` only where nobody has
--       upheld that one for so long   4 how long, µs   then per entry:
--       name, schedule, n, then n times field and value: all else that is kept of it
-- Effect  rq:cron_entries; rq:cron_entry:<name>: `upheld`, and of a new one, or one that is taken over, all fields. What
--         counts by a schedule counts from `since`: ticks before that are decided.
-- Result  per entry 4: `new` · `same` · `changed`, to this schedule · `other`, another schedule stays · `wrongtype`
--         then `since`, `decided` and `paused`, with `other` that schedule in the place of `since`; empty for none
-- What is no whole number in `since` or `decided` is as if it was not there: its schedule counts from now.
-- Re-send: the schedule there is the same, so the answer is `same`, with what the first sending wrote.
-- A wrong type of rq:cron_entries fails here, before anything is written. At maxmemory SADD is refused: nothing is done.
local P, now, takes_over, given_up = ARGV[1], ARGV[2], ARGV[3] == '1', tonumber(ARGV[4])

-- A time in µs as it is kept, of which 18 digits fit into 64 bits; nil for anything else.
local function whole(text)
  if text and #text <= 19 and string.match(text, '^-?%d+$') and #string.match(text, '%d+') <= 18 then return text end
  return nil
end

-- Writes all that is kept of an entry but for how far it has come; what its last announcement had, and this one has not,
-- goes.
local function define(entry, schedule, from, to)
  local kept = {since = true, decided = true, paused = true, fired = true, dropped = true, last_job = true}
  for _, field in ipairs(redis.pcall('HKEYS', entry)) do
    if not kept[field] then redis.pcall('HDEL', entry, field) end
  end
  redis.pcall('HSET', entry, 'schedule', schedule, 'upheld', now, unpack(ARGV, from, to))
end

local function announce(name, schedule, from, to)
  local entry = P .. ':cron_entry:' .. name
  local was = redis.pcall('HMGET', entry, 'schedule', 'since', 'decided', 'paused', 'upheld')
  if was.err then return {'wrongtype', '', '', ''} end
  if not was[1] then
    define(entry, schedule, from, to)
    redis.pcall('HSET', entry, 'since', now)
    return {'new', now, '', ''}
  end
  local since, decided = whole(was[2]), whole(was[3])
  if was[1] == schedule then
    if not since or (was[3] and not decided) then
      since = now
      redis.pcall('HSET', entry, 'since', now)
    end
    if was[3] and not decided then redis.pcall('HDEL', entry, 'decided') end
    -- What is called, and where it goes, is as whoever started last has it.
    if takes_over then
      define(entry, schedule, from, to)
    else
      redis.pcall('HSET', entry, 'upheld', now)
    end
    return {'same', since, decided or '', was[4] or ''}
  end
  local is_upheld = tonumber(now) - (tonumber(was[5] or 0) or 0) < given_up
  if is_upheld and not takes_over then return {'other', was[1], decided or '', was[4] or ''} end
  define(entry, schedule, from, to)
  -- Nothing goes back: who decided ahead of this clock has decided.
  local from_now = now
  if decided and tonumber(decided) > tonumber(now) then from_now = decided end
  redis.pcall('HSET', entry, 'since', now, 'decided', from_now)
  return {'changed', now, from_now, was[4] or ''}
end

local answers = {}
local i = 5
while i <= #ARGV do
  local n = tonumber(ARGV[i + 2])
  redis.call('SADD', KEYS[1], ARGV[i])
  for _, word in ipairs(announce(ARGV[i], ARGV[i + 1], i + 3, i + 2 + 2 * n)) do
    answers[#answers + 1] = word
  end
  i = i + 3 + 2 * n
end
return answers
