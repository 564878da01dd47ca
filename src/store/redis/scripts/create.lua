-- Writes records of transactions, one for each key. Behind the time in ARGV, for each record: payload, priority, second
-- of its end, queues, callback, further fields, milliseconds of its delay's end. Gives '1' for each, or '0' where there
-- is a record already.
return each(7, create)
