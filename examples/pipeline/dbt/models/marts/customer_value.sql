select
    customers.customer_id,
    customers.customer_name,
    customers.segment,
    coalesce(sum(order_revenue.revenue), 0) as lifetime_revenue
from {{ ref('stg_customers') }} as customers
left join {{ ref('order_revenue') }} as order_revenue using (customer_id)
group by all
