select
    customer_id,
    name as customer_name,
    segment
from {{ ref('raw_customers') }}
