select
    orders.order_id,
    orders.customer_id,
    orders.ordered_on,
    coalesce(sum(payments.amount), 0) as revenue
from {{ ref('stg_orders') }} as orders
left join {{ ref('stg_payments') }} as payments using (order_id)
group by all
