-- part post: writes into the outbox what is to be done outside of Redis once an execution has ended. Needs lifetime.
--
-- Takes from the arguments, beginning at index i: n, then n times
--   box   where it waits: `webhooks`, or `callbacks:<name>`
--   body  what is to be done, for whoever takes it
-- An entry is named by the execution and its place there, `<id>:<x>:<k>`, and is due at once.
--
-- How long an entry is kept that nobody takes, or that cannot be delivered.
local OUTBOX_KEPT_S = 86400
-- How many entries wait in a box at most: those of a receiver that is down for days must not fill Redis. What finds no
-- room is not written, and told of by whoever comes to take it.
local OUTBOX_MAX = 100000

local function post(id, x, i)
  local n = tonumber(ARGV[i])
  if n == 0 then return end
  local clock = redis.call('TIME')
  local now_ms = string.format('%.0f', tonumber(clock[1]) * 1000 + math.floor(tonumber(clock[2]) / 1000))
  for k = 1, n do
    local box, body = PREFIX .. ':outbox:' .. ARGV[i + 2 * k - 1], ARGV[i + 2 * k]
    local waiting = redis.pcall('ZCARD', box)
    if type(waiting) == 'number' and waiting < OUTBOX_MAX then
      local name = id .. ':' .. x .. ':' .. k
      local entry = PREFIX .. ':outbox:entry:' .. name
      redis.pcall('HSET', entry, 'body', body, 'attempts', 0)
      redis.pcall('EXPIRE', entry, OUTBOX_KEPT_S)
      redis.pcall('ZADD', box, now_ms, name)
      redis.pcall('EXPIRE', box, OUTBOX_KEPT_S)
    end
  end
end
