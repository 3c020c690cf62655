-- part permission: what this user may not run ends the script before its first write.
--
-- A permission may be lost while workers run. A script that finds out halfway has taken a job off its queue and cannot
-- write down who has it. To ask costs less than half of what the command does.
local may_run = redis.acl_check_cmd

-- Before Redis 7 nobody can be asked: there the command is run with arguments by which it fails or changes nothing, where
-- the script gives some.
local function need(command, key, ...)
  local lacks
  if may_run then
    -- A command that the server does not know is no lack of a permission; whoever runs it is told.
    local is_known, is_granted = pcall(may_run, command, key)
    lacks = is_known and not is_granted
  elseif select('#', ...) > 0 then
    local answer = redis.pcall(command, key, ...)
    lacks = type(answer) == 'table' and answer.err and string.find(answer.err, 'The user executing the script', 1, true)
  end
  if lacks then
    local what = 'this user may not run ' .. command .. ' on ' .. key
    -- A table is an error with a code since Redis 7; before, it is none.
    error(may_run and redis.error_reply('NOPERM ' .. what) or what)
  end
end
