-- The functions of the library, by the name that is in front of all of it.

-- `flags`: those that empty a server go on when its memory is full; the others are refused as a whole.
local function register(name, callback, flags)
  redis.register_function({function_name = LIBRARY .. '_' .. name, callback = callback, flags = flags or {}})
end

local function batch(handle)
  return function(keys, given)
    begin(given)
    return each(keys, handle)
  end
end

register('push', run)
register('queue', run, {'allow-oom'})
register('create', batch(create_one))
register('note', batch(note_one), {'allow-oom'})
register('head', read_head_of, {'no-writes'})
register('arrived', release_record, {'allow-oom'})
register('update', update)
register('delete', delete, {'allow-oom'})
register('claim', claim, {'allow-oom'})
register('once', batch(claim_key))
register('outcome', batch(note_outcome), {'allow-oom'})
register('group', change_group)
register('secure', keep_credentials)
