-- wrk's script: sends the bodies named as arguments in turn, prints the outcome as one line of JSON.
-- Where a body has eight @ in a row, each request has a number there that no other has.
local requests = {}
local behind = {}
local turn = 0
local sent = 0

function init(arguments)
   for i, path in ipairs(arguments) do
      local file = assert(io.open(path, "rb"))
      local whole = wrk.format("POST", nil, nil, file:read("*a"))
      file:close()
      local from, to = whole:find("@@@@@@@@", 1, true)
      requests[i] = from and whole:sub(1, from - 1) or whole
      behind[i] = from and whole:sub(to + 1)
   end
end

function request()
   turn = turn % #requests + 1
   if not behind[turn] then return requests[turn] end
   sent = sent + 1
   return requests[turn] .. string.format("%08d", sent) .. behind[turn]
end

-- Durations and latencies are microseconds. errors.status counts answers above 399.
function done(summary, latency)
   local errors = summary.errors
   io.write(string.format(
      'RESULT {"requests":%d,"duration_us":%d,"p50_us":%d,"p99_us":%d,' ..
      '"connect":%d,"read":%d,"write":%d,"status":%d,"timeout":%d}\n',
      summary.requests, summary.duration, latency:percentile(50), latency:percentile(99),
      errors.connect, errors.read, errors.write, errors.status, errors.timeout))
end
