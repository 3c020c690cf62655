-- part refusal: what the server refuses ends the script; what is wrong with one key does not.
--
-- A server that lacks its replicas, could not save, is a replica itself or is full refuses the first write of a script,
-- and none after it. Through `redis.pcall` such a refusal would pass for a key that is not as it should be, and the
-- script would say that a job is lost which only could not be written. So the first write of a script is a `redis.call`
-- or goes through `write`, and a read by which an execution may be declared lost goes through `ask`.

-- Whether a write was let through. From then on only a permission can be missing, and the script must not end halfway
-- for that.
local let_through = false

-- As `redis.pcall`, but an error that is not one key's own, which is a wrong type, ends the script.
local function ask(...)
  local answer = redis.pcall(...)
  if type(answer) == 'table' and answer.err and not let_through and string.sub(answer.err, 1, 9) ~= 'WRONGTYPE' then
    -- Once more, so that it is Redis that raises its own error: before Redis 7 one raised from here would lose its text.
    return redis.call(...)
  end
  return answer
end

local function write(...)
  local answer = ask(...)
  let_through = true
  return answer
end
