-- An order cannot bring in less than nothing. Rows that come back are the failures.
select order_id, revenue
from {{ ref('order_revenue') }}
where revenue < 0
