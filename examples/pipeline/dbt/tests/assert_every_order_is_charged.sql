-- An order that nobody paid for is worth a look, but no reason to stop the pipeline.
{{ config(severity='warn') }}
select order_id
from {{ ref('stg_orders') }}
left join {{ ref('stg_payments') }} as payments using (order_id)
where payments.payment_id is null
