-- part epoch: RQ's times as numbers.

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
