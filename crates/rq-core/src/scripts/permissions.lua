-- permissions: which of a worker's commands, keys and channels its user may not use.
--
-- KEYS  1 a key that nobody else has
-- ARGV  per question: how many words, then the words of a command that changes nothing, or key 1 alone; DEL is the
--       first command
-- Effect  none
-- Result  per question: `granted`, or what is missing: `command` · `key` · `channel` · `unknown`, the server has no such
--         command · `unasked`, no script can tell on this server
-- Re-send: answers the same.
-- Redis 7 tells without running anything. Before that each command is run: those that do not fail by their arguments
-- write into key 1 at most, which is gone at the end. What else they may be answered, as by a server that is full, is no
-- matter of permissions.
local function lack_in(err)
  if string.find(err, 'nknown Redis command', 1, true) then return 'unknown' end
  if string.find(err, 'not allowed from script', 1, true) then return 'unasked' end
  if string.find(err, 'channel', 1, true) then return 'channel' end
  if string.find(err, 'access', 1, true) then return 'key' end
  return 'command'
end

local function is_refusal(err)
  return string.find(err, 'The user executing the script can', 1, true) or lack_in(err) == 'unknown'
    or lack_in(err) == 'unasked'
end

-- What is missing of a command that is known to be refused, so that nothing is run.
local function lack_of(words)
  local answer = redis.pcall(unpack(words))
  local lack = type(answer) == 'table' and answer.err and lack_in(answer.err) or 'command'
  if lack ~= 'unasked' then return lack end
  -- No script may subscribe. Who may do so to no channel lacks this one.
  return words[1] == 'SUBSCRIBE' and may_run(words[1]) and 'channel' or 'command'
end

local function question(words)
  local is_known, is_granted = pcall(may_run, unpack(words))
  if not is_known then return 'unknown' end
  return is_granted and 'granted' or lack_of(words)
end

local function attempt(words)
  local answer = redis.pcall(unpack(words))
  local err = type(answer) == 'table' and answer.err
  return err and is_refusal(err) and lack_in(err) or 'granted'
end

local answers, clears = {}, true
local i = 1
while i <= #ARGV do
  local words = {unpack(ARGV, i + 1, i + tonumber(ARGV[i]))}
  i = i + 1 + #words
  local answer = 'granted'
  if may_run then
    answer = question(words)
  elseif clears then
    answer = attempt(words)
    -- Nothing is left behind: without DEL no more is tried.
    if words[1] == 'DEL' and answer ~= 'granted' then clears = false end
  end
  answers[#answers + 1] = answer
end
if not may_run and clears then redis.pcall('DEL', KEYS[1]) end
return answers
