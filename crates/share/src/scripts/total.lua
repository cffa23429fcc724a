-- Takes the spans of some calls from the running total of one organization, group and day, all replicas together.
--
-- A replica does not say "add so much": it says what all its calls took before these, and its number replaces the
-- one it said last. So a message that is repeated, or of which nobody knows whether it came, counts once; and totals
-- that were lost are whole again once every replica has spoken. A message that comes late, after a newer one of the
-- same replica, changes nothing.
--
-- KEYS  1 the total   2 what is known of the organization; both in the slot of the organization
-- ARGV  1 replica   2 version of this message   3 the version answered last, 0 for none   4 taken before these calls
--       5 the same of those that fitted   6 1 + the allowance it was past before it was lowered, or 0
--       7 slack: "" or 14 numbers   8 allowance, 0 for unknown   9 counting since, Unix seconds
--       10 1: this total was stated by an operator   11 seconds that keys are kept   12... tokens of the calls
-- Answers the version that holds, taken and fitted by the others, crossed, how often a total was stated, milliseconds
-- since anything is known of the organization, counting since, slack of the others; then for each call: taken before
-- it, fitted before it, 1 if it fits. Of an outdated message only the version says something.

local total, about = KEYS[1], KEYS[2]
local replica, version, known = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local base_taken, base_fitted = tonumber(ARGV[4]), tonumber(ARGV[5])
local said_crossed, said_slack, said_allowance = tonumber(ARGV[6]), ARGV[7], tonumber(ARGV[8])
local said_since, is_stated, kept = tonumber(ARGV[9]), ARGV[10] == '1', tonumber(ARGV[11])

local function written(number) return string.format('%.0f', number) end

-- Slack is 14 numbers; "" stands for nothing at all.
local function parts(text)
  local list = {}
  for number in string.gmatch(text or '', '%d+') do list[#list + 1] = tonumber(number) end
  for place = #list + 1, 14 do list[place] = 0 end
  return list
end
local function joined(list)
  local texts, any = {}, false
  for place, number in ipairs(list) do
    if number > 0 then any = true else number = 0 end
    texts[place] = written(number)
  end
  return any and table.concat(texts, ',') or ''
end
local function changed(text, less, more)
  -- Nearly always there is no slack, and nothing to reckon.
  if less == more then return text end
  local now, old, new = parts(text), parts(less), parts(more)
  for place = 1, 14 do now[place] = now[place] - old[place] + new[place] end
  return joined(now)
end

local mine = { '/version', '/taken', '/fitted', '/slack' }
for place, name in ipairs(mine) do mine[place] = replica .. name end
local found = redis.call('HMGET', total, 'taken', 'fitted', 'crossed', 'stated', 'slack', 'allowance', unpack(mine))
local taken, fitted = tonumber(found[1] or 0), tonumber(found[2] or 0)
local crossed, stated = tonumber(found[3] or 0), tonumber(found[4] or 0)
local slack, allowance = found[5] or '', tonumber(found[6] or 0)
local own_version, own_taken = tonumber(found[7] or 0), tonumber(found[8] or 0)
local own_fitted, own_slack = tonumber(found[9] or 0), found[10] or ''

if version <= own_version then return { own_version } end

local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local heard = redis.call('HMGET', about, 'born', 'since')
local born, since = tonumber(heard[1] or now), tonumber(heard[2] or said_since)
-- It was answered what is not here: the store lost something, and perhaps of others, too.
if own_version < known then born = now end
if said_since < since then since = said_since end
if heard[1] ~= written(born) or heard[2] ~= written(since) then
  redis.call('HSET', about, 'born', written(born), 'since', written(since))
end
redis.call('EXPIRE', about, kept)

if said_allowance > 0 then allowance = said_allowance end
if base_taken < own_taken and allowance > 0 and taken > allowance then
  -- A day that was crossed stays crossed.
  crossed = math.max(crossed, allowance + 1)
end
taken = taken - own_taken + base_taken
fitted = fitted - own_fitted + base_fitted
crossed = math.max(crossed, said_crossed)
if is_stated then
  -- What was uncounted anywhere is in the number that was stated.
  crossed, stated, slack, own_slack = said_crossed, stated + 1, '', ''
  for _, field in ipairs(redis.call('HKEYS', total)) do
    if string.sub(field, -6) == '/slack' then redis.call('HDEL', total, field) end
  end
end
if said_slack ~= own_slack then slack = changed(slack, own_slack, said_slack) end

local answer = {
  version, 0, 0, crossed, stated, math.max(now - born, 0), since, changed(slack, said_slack, '')
}
own_taken, own_fitted = base_taken, base_fitted
for place = 12, #ARGV do
  local tokens = tonumber(ARGV[place])
  local fits = fitted + tokens <= allowance
  answer[#answer + 1] = taken
  answer[#answer + 1] = fitted
  answer[#answer + 1] = fits and 1 or 0
  taken, own_taken = taken + tokens, own_taken + tokens
  if fits then fitted, own_fitted = fitted + tokens, own_fitted + tokens end
end
answer[2], answer[3] = taken - own_taken, fitted - own_fitted

redis.call('HSET', total,
  'taken', written(taken), 'fitted', written(fitted), 'crossed', written(crossed), 'stated', written(stated),
  'slack', slack, 'allowance', written(allowance),
  mine[1], written(version), mine[2], written(own_taken), mine[3], written(own_fitted), mine[4], said_slack)
redis.call('EXPIRE', total, kept)
return answer
