select net(100), count_of('paid')
select slices()
