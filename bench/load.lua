-- Load for wrk: wrk ... -s load.lua URL -- SECRET KIND FIRST DEVICES RATE ENGINE LOWEST
--
-- KIND device: connects and disconnects of DEVICES devices in turn, each of which changes a device's state;
-- KIND session: the same of a gateway's sessions, as Evolution API tells them;
-- KIND message: message events of DEVICES conversations; KIND push: one device's state as a group of a Pushgateway.
-- FIRST is the event time of the first round over the devices, each further round is a second later.
-- RATE, if not 0: about so many requests a second on each connection instead of as many as it takes.
-- LOWEST is the number of the first device.
-- Names and ids are those of bench/fleet.py.
local n, headers, kind, first, devices, pause, engine, lowest = 0, "", "device", 0, 1, 0, "", 0

local DEVICE = '{"event":"device.%s","timestamp":%d,"status":"%s","device":{"id":"device_%05d",' ..
  '"name":"Front desk %d","channel":{"id":"channel_%d","name":"Customer care","engine":"%s"},' ..
  '"bisnis":{"id":"biz_%d","name":"Toko Makmur %d"},"user":{"id":"merchant_%d","name":"Ibu Sari"}}}'
local MESSAGE = '{"event":"channel.message_in","timestamp":%d,"conversation_id":"conversation_%05d","need_human":0,' ..
  '"message":{"id":"message_1","content":"Halo, apakah masih ada?","customer":{"id":"customer_1","name":"Ibu Sari"},' ..
  '"channel":{"id":"channel_%d","name":"Customer care","engine":"%s"},' ..
  '"bisnis":{"id":"biz_%d","name":"Toko Makmur"}}}'
local SESSION = '{"event":"connection.update","instance":"session_%05d","data":{"instance":"session_%05d","state":"%s",' ..
  '"statusReason":%d,"wuid":"6281200000001@s.whatsapp.net","profileName":"Front desk %d","profilePictureUrl":null},' ..
  '"destination":"https://status.example.id/webhook/evo","date_time":"%s","sender":"6281200000001@s.whatsapp.net",' ..
  '"server_url":"https://evo.example.id","apikey":"none"}'
local PUSH = '# TYPE device_up gauge\ndevice_up{engine="%s",channel_id="channel_%d",business_id="biz_%d"} %d\n'

function init(args)
  headers = " HTTP/1.1\r\nHost: localhost\r\nAuthorization: " .. args[1] ..
    "\r\nContent-Type: application/json\r\nContent-Length: "
  kind, first, devices, engine, lowest = args[2], tonumber(args[3]), tonumber(args[4]), args[6], tonumber(args[7])
  local rate = tonumber(args[5])
  if rate > 0 then pause = 1000 / rate else delay = nil end
  math.randomseed(first)
end

-- milliseconds; drawn evenly, so that the connections do not fall into step
function delay()
  return math.floor(math.random() * 2 * pause + 0.5)
end

function request()
  local device, round = lowest + n % devices, math.floor(n / devices)
  local business, up = device % 3333, (round + device) % 2
  n = n + 1
  local head, body = "POST /webhook", ""
  if kind == "message" then
    body = MESSAGE:format(first + round, device, device % 100, engine, business)
  elseif kind == "session" then
    head = "POST /webhook/evo"
    local at = os.date("!%Y-%m-%dT%H:%M:%S.000Z", first + round)
    body = SESSION:format(device, device, up == 1 and "open" or "close", up == 1 and 200 or 401, device, at)
  elseif kind == "push" then
    head = ("PUT /metrics/job/devices/device_id/device_%05d"):format(device)
    body = PUSH:format(engine, device, business, up)
  else
    local state = up == 1 and "connected" or "disconnected"
    body = DEVICE:format(
      state, first + round, state, device, device, device, engine, business, business, business)
  end
  return head .. headers .. #body .. "\r\n\r\n" .. body
end

function done(summary, latency, requests)
  local errors = summary.errors
  io.write(string.format(
    '{"requests":%d,"microseconds":%d,"p50":%d,"p90":%d,"p99":%d,"worst":%d,"bad":%d}\n',
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(90), latency:percentile(99),
    latency.max, errors.connect + errors.read + errors.write + errors.status + errors.timeout))
end
