nothing = nil
puts nothing.upcase
