-- wrk: sixteen requests a write.
init = function()
  local one = wrk.format()
  batch = string.rep(one, 16)
end
request = function() return batch end
