select
    ordered_on,
    count(*) as orders,
    sum(revenue) as revenue
from {{ ref('order_revenue') }}
group by ordered_on
