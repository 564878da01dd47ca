-- A call: what it was given, and the time.
--
-- The library is made once, when a server loads it; a call runs one of its functions. What is said here of a call is set
-- when it begins.

-- Milliseconds since 1970; whole for all of a call.
local now

local arguments, next_argument

-- What the server lends to functions, but not yet while the library is loaded. As locals, since to look for something
-- global takes several times as long.
local function lend()
  return redis.call, struct.pack, struct.unpack, string.format, ipairs, math, next, pairs, pcall, string, table, tonumber,
    tostring, type, unpack
end

local call, pack, unpack_value, format, ipairs, math, next, pairs, pcall, string, table, tonumber, tostring, type, unpack

local function argument()
  local value = arguments[next_argument]
  next_argument = next_argument + 1
  return value
end

-- Begins a call. The first argument is the time; 0 is for this server's own.
local function begin(given)
  if not call then
    call, pack, unpack_value, format, ipairs, math, next, pairs, pcall, string, table, tonumber, tostring, type, unpack =
      lend()
  end
  arguments, next_argument = given, 2
  now = tonumber(given[1])
  if now == 0 then
    local time = call('TIME')
    now = time[1] * 1000 + math.floor(time[2] / 1000)
  end
end

-- A whole number as text. Numbers become text anyway where a command is called, but several times as slowly.
local function text(whole_number)
  return format('%d', whole_number)
end

-- What `handle` gives, or '!' and the error, which is that of one operation alone.
local function guarded(handle, ...)
  local is_done, reply = pcall(handle, ...)
  if is_done then
    return reply
  end
  return '!' .. (type(reply) == 'table' and reply.err or tostring(reply))
end

-- Calls `handle` with each key, and gives the replies. It takes as many arguments as are its own before it does anything
-- else, so the next one finds its own.
local function each(keys, handle)
  local replies = {}
  for at, key in ipairs(keys) do
    replies[at] = guarded(handle, key)
  end
  return replies
end
