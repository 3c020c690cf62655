-- part fence: which executions rq:wip still holds, asked once for many. Needs refusal.

-- For each member, `<id>:<x>` with the origin of the same index, whether it is there.
local function are_held(prefix, origins, members)
  local groups, held = {}, {}
  for k, origin in ipairs(origins) do
    local group = groups[origin] or {}
    groups[origin] = group
    group[#group + 1] = k
  end
  for origin, group in pairs(groups) do
    local asked = {}
    for n, k in ipairs(group) do asked[n] = members[k] end
    local scores = ask('ZMSCORE', prefix .. ':wip:' .. origin, unpack(asked))
    for n, k in ipairs(group) do held[k] = not scores.err and scores[n] ~= false end
  end
  return held
end
