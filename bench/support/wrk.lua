-- What wrk sends beside GET: `post SIZE` or `chunked SIZE`; and its figures as one line of JSON.
-- The request is made once, whatever its size.
function init(args)
  local kind, size = args[1], tonumber(args[2])
  if kind == nil then return end
  wrk.method = "POST"
  local body = string.rep("b", size)
  if kind == "post" then
    wrk.body = body
    return
  end
  wrk.headers["Transfer-Encoding"] = "chunked"
  local half = math.floor(size / 2)
  local chunk = string.format("%x\r\n%s\r\n", half, string.rep("b", half))
  local text = wrk.format() .. chunk .. chunk .. "0\r\n\r\n"
  wrk.format = function() return text end
end

function done(summary)
  local e = summary.errors
  local failed = e.connect + e.read + e.write + e.status + e.timeout
  print(string.format('{"requests":%d,"bytes":%d,"seconds":%.6f,"failed":%d}',
    summary.requests, summary.bytes, summary.duration / 1e6, failed))
end
