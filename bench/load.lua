-- wrk's script: sends the bodies named as arguments in turn, prints the outcome as one line of JSON.
local requests = {}
local turn = 0

function init(arguments)
   for i, path in ipairs(arguments) do
      local file = assert(io.open(path, "rb"))
      requests[i] = wrk.format("POST", nil, nil, file:read("*a"))
      file:close()
   end
end

function request()
   turn = turn % #requests + 1
   return requests[turn]
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
