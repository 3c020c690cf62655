-- part lifetime: how long a job is kept.
local PREFIX = ARGV[1]

-- The dependents and dependencies of a job live as long as its hash.
local function expire(id, ttl)
  local job = PREFIX .. ':job:' .. id
  redis.pcall('EXPIRE', job, ttl)
  redis.pcall('EXPIRE', job .. ':dependents', ttl)
  redis.pcall('EXPIRE', PREFIX .. ':job::' .. id .. ':dependencies', ttl)
end
